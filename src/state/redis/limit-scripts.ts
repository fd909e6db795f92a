// The algorithms of state/memory/limits.ts as scripts. They read the clock of the server that has the
// key, so that the clocks of the gateways don't matter, and survive a jump of that clock: nothing waits
// longer than it would without one.

import { RedisScript } from './redis-script.ts';

/**
 * ARGV: limit, window in ms, cost. Answers: allowed, remaining, ms until the window ends. The key holds
 * the count and expires with its window.
 */
export const FIXED_WINDOW = new RedisScript(`
local limit, window, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  if cost > limit then return {0, 0, window} end
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
  return {1, limit - cost, window}
end
if left > window then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  left = window
end
local count = tonumber(redis.call('GET', KEYS[1])) + cost
if count > limit then return {0, 0, left} end
redis.call('INCRBY', KEYS[1], ARGV[3])
return {1, limit - count, left}
`);

/**
 * ARGV: limit, window in ms, cost. Answers: allowed, remaining, ms until the window ends or the cost
 * fits. The key is a hash: number of the window (\`n\`), its count (\`c\`) and that of the one before (\`p\`).
 */
export const SLIDING_WINDOW = new RedisScript(`
local limit, window, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local number = math.floor(now / window)
local left = (number + 1) * window - now
local kept = redis.call('HMGET', KEYS[1], 'n', 'c', 'p')
local count, previous = 0, 0
if kept[1] then
  local known = tonumber(kept[1])
  if known == number then
    count, previous = tonumber(kept[2]), tonumber(kept[3])
  elseif known == number - 1 then
    previous = tonumber(kept[2])
  end
end
previous = math.min(previous, limit)
local weighted = previous * left / window
if count + weighted + cost <= limit + 1e-6 then
  redis.call('HSET', KEYS[1], 'n', string.format('%.0f', number), 'c', string.format('%.0f', count + cost), 'p', string.format('%.0f', previous))
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', left + window))
  return {1, math.max(0, math.floor(limit - count - cost - weighted + 1e-6)), left}
end
if count + cost <= limit and previous > 0 then
  left = math.ceil(left - (limit - count - cost) * window / previous)
end
return {0, 0, math.max(0, left)}
`);

/**
 * ARGV: rate per second, burst. Answers: allowed, and the excess as a text, as integers would lose its
 * fraction. The key holds the time at which the excess will have drained, in ms with microseconds.
 */
export const LEAKY_BUCKET = new RedisScript(`
local perMs, burst = tonumber(ARGV[1]) / 1000, tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local drained = redis.call('GET', KEYS[1])
local excess = 0
if drained then excess = math.max(0, (tonumber(drained) - now) * perMs + 1) end
local allowed = excess <= burst + 1e-6
local kept = excess
if excess > burst + 1.000001 then
  excess, kept = burst + 1, burst
elseif not allowed then
  return {0, string.format('%.6f', excess)}
end
redis.call('SET', KEYS[1], string.format('%.3f', now + kept / perMs), 'PX', string.format('%.0f', math.ceil((kept + 1) / perMs)))
return {allowed and 1 or 0, string.format('%.6f', excess)}
`);

/**
 * ARGV: maximum, ms after which a stay is forgotten unless renewed, its name. Answers: allowed, how many are inside.
 * The key is a sorted set of stays by the time at which they are forgotten.
 */
export const ENTER = new RedisScript(`
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local inside = redis.call('ZCARD', KEYS[1])
if inside >= tonumber(ARGV[1]) then return {0, inside} end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {1, inside + 1}
`);

/** ARGV: ms after which stays are forgotten, their names. They are there afterwards, whatever was before. */
export const RENEW = new RedisScript(`
local time = redis.call('TIME')
local ends = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(ARGV[1]))
for index = 2, #ARGV do redis.call('ZADD', KEYS[1], ends, ARGV[index]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
`);
