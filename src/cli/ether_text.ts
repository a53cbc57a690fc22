const WEI_PER_ETHER = 10n ** 18n;

/** Wei as a decimal number of ether without trailing zeros: `1.5 ether`. */
export function etherText(wei: bigint): string {
  const whole = wei / WEI_PER_ETHER;
  const rest = (wei % WEI_PER_ETHER).toString().padStart(18, '0').replace(/0+$/, '');
  return `${whole}${rest === '' ? '' : `.${rest}`} ether`;
}
