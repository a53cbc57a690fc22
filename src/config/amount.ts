const DECIMALS: Record<string, number> = { wei: 0, gwei: 9, ether: 18 };
const AMOUNT_PATTERN = /^([0-9]{1,78})(?:\.([0-9]{1,18}))?(?: ?(wei|gwei|ether))?$/;

/** Wei of a text like "5", "1000 ether" or "1.5 gwei"; undefined for anything else, also parts of a wei. */
export function parseAmount(text: string): bigint | undefined {
  const [, whole, fraction = '', unit = 'wei'] = AMOUNT_PATTERN.exec(text) ?? [];
  const decimals = DECIMALS[unit] ?? 0;
  if (whole === undefined || fraction.length > decimals) return undefined;
  return BigInt(whole + fraction.padEnd(decimals, '0'));
}
