import { nginxAndSluice } from '../harness/nginx-and-sluice.ts';

export const connectionPerRequest = nginxAndSluice(
  {
    name: 'connection-per-request',
    title: 'a connection for every request',
    about: 'The bare route with `Connection: close` from the client; upstream connections are kept.',
  },
  { headers: ['Connection: close'] },
);
