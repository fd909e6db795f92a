/** Redis can't be asked, or has not answered in time. The message holds no secret and no command. */
export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable';
}
