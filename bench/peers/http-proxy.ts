// http-proxy as its README shows it, with keep-alive to the upstream and X-Forwarded-* fields.
import { Agent } from 'node:http';
import httpProxy from 'http-proxy';

const { PORT, UPSTREAM_PORT } = process.env;
httpProxy
  .createServer({
    target: `http://127.0.0.1:${UPSTREAM_PORT}`,
    agent: new Agent({ keepAlive: true, maxSockets: 512, maxFreeSockets: 512 }),
    xfwd: true,
  })
  .listen(Number(PORT), '127.0.0.1');
