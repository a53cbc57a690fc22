import { isIP } from 'node:net';

const HOST_NAME_PATTERN =
  /^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/;
const WILDCARDS = new Set(['0.0.0.0', '::']);
const NUMERIC_PATTERN = /^[0-9.]+$/;

/** Whether the text is a host name or an address without brackets that others can dial. */
export function isDialableHost(text: string): boolean {
  if (isIP(text) !== 0) return !WILDCARDS.has(text);
  return HOST_NAME_PATTERN.test(text) && !NUMERIC_PATTERN.test(text);
}

/** Whether only processes of the same machine can reach the host. */
export function isLoopbackHost(host: string): boolean {
  if (host.toLowerCase() === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}
