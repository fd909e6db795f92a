import { nginxAndSluice } from '../harness/nginx-and-sluice.ts';

export const browserRequest = nginxAndSluice(
  {
    name: 'browser-request',
    title: 'a request as browsers send it',
    about: 'The bare route with about 500 bytes of request head instead of 50.',
  },
  {
    headers: [
      'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
      'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
      'Accept-Language: en-US,en;q=0.5',
      'Accept-Encoding: gzip, deflate, br, zstd',
      'Referer: https://shop.example/orders?page=2',
      'Cookie: session=0123456789abcdef0123456789abcdef; theme=dark',
      'Cache-Control: no-cache',
    ],
  },
);
