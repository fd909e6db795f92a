import { nginxAndSluice } from '../harness/nginx-and-sluice.ts';

export const manyConnections = nginxAndSluice(
  {
    name: 'many-connections',
    title: '256 connections',
    about: 'The bare route with four times the connections.',
  },
  { connections: 256 },
);
