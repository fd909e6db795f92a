// The public API: re-exports only.
export type * from './config-shapes.ts';
export { type Config, defineConfig } from './define-config.ts';
export { type Schema, type Static, Type } from './lib/schema.ts';
export type { BodyFilter, BodySink } from './plugin/body-filter.ts';
export type { BodySource } from './plugin/body-source.ts';
export type { Consumer, CredentialIndex, CredentialMatch } from './plugin/consumer.ts';
export { definePlugin, type Handlers, type Outcome, type Plugin } from './plugin/define-plugin.ts';
export type * from './plugin/exchange.ts';
export { slot } from './plugin/exchange.ts';
export type { Clock, Kit, Logger, Place } from './plugin/kit.ts';
export type { OwnRequest, OwnResponse } from './plugin/own-request.ts';
export { type Reply, reply, streamedReply } from './plugin/reply.ts';
