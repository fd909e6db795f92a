// @fastify/http-proxy as its README shows it (on undici), without a logger.
import fastifyHttpProxy from '@fastify/http-proxy';
import fastify from 'fastify';

const { PORT, UPSTREAM_PORT } = process.env;
const server = fastify({ logger: false });
await server.register(fastifyHttpProxy, {
  upstream: `http://127.0.0.1:${UPSTREAM_PORT}`,
  undici: { connections: 512, pipelining: 1 },
});
await server.listen({ host: '127.0.0.1', port: Number(PORT) });
