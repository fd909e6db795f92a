import { definePlugin, reply, Type } from 'sluice';

export const officeHours = definePlugin({
  name: 'office-hours',
  summary: 'Lets requests pass during office hours only.',
  priority: 2900,
  config: Type.Object({
    from: Type.Integer({
      minimum: 0,
      maximum: 23,
      default: 9,
      description: 'First hour (UTC) that is open.',
    }),
    to: Type.Integer({
      minimum: 1,
      maximum: 24,
      default: 17,
      description: 'First hour (UTC) that is closed.',
    }),
  }),
  check: ({ from, to }) => (from < to ? undefined : 'from must be before to'),
  create({ from, to }, kit) {
    return {
      access() {
        const hour = new Date(kit.clock.now()).getUTCHours();
        if (hour >= from && hour < to) return undefined;
        return reply(503, { message: 'We are closed.' }, { reason: 'closed' });
      },
    };
  },
});
