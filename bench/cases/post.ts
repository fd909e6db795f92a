import { nginxAndSluice } from '../harness/nginx-and-sluice.ts';

export const post = nginxAndSluice(
  { name: 'post', title: 'POST of 4 KB', about: 'The bare route with a request body of 4096 bytes.' },
  { method: 'POST', bodyBytes: 4096 },
);
