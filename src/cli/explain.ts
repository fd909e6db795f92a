import type { Command } from './command.ts';
export const explain: Command = {
  name: 'explain',
  usage: '',
  summary: '',
  details: '',
  options: {},
  async run() {},
};
