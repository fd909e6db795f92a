const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const MONTH = `(${MONTHS.join('|')})`;
const TIME = '(\\d\\d):(\\d\\d):(\\d\\d)';
const DAY = '(?:mon|tue|wed|thu|fri|sat|sun)';
const FIXED = new RegExp(`^${DAY}, (\\d\\d) ${MONTH} (\\d{4}) ${TIME} gmt$`, 'i');
const RFC_850 = new RegExp(`^${DAY}[a-z]{3,6}, (\\d\\d)-${MONTH}-(\\d\\d) ${TIME} gmt$`, 'i');
const ASCTIME = new RegExp(`^${DAY} ${MONTH} ([ \\d]\\d) ${TIME} (\\d{4})$`, 'i');

/**
 * The Unix milliseconds of an HTTP-date in any of its three forms (RFC 9110 5.6.7), or undefined for
 * what is none of them. Case makes no difference; everything else does. A year of two digits that
 * would lie more than 50 years after `now` is in the century before.
 */
export function parseHttpDate(text: string, now = 0): number | undefined {
  const fixed = FIXED.exec(text);
  if (fixed !== null) return utc(Number(fixed[3]), fixed[2], Number(fixed[1]), fixed, 4);
  const old = RFC_850.exec(text);
  if (old !== null) {
    const present = new Date(now).getUTCFullYear();
    let year = present - (present % 100) + Number(old[3]);
    if (year > present + 50) year -= 100;
    return utc(year, old[2], Number(old[1]), old, 4);
  }
  const asc = ASCTIME.exec(text);
  if (asc !== null) return utc(Number(asc[6]), asc[1], Number(asc[2]), asc, 3);
  return undefined;
}

function utc(year: number, month: string, day: number, match: RegExpExecArray, time: number) {
  const hour = Number(match[time]);
  const minute = Number(match[time + 1]);
  // 60 is a leap second.
  const second = Number(match[time + 2]);
  if (hour > 23 || minute > 59 || second > 60 || day < 1 || day > 31) return undefined;
  return Date.UTC(year, MONTHS.indexOf(month.toLowerCase()), day, hour, minute, second);
}
