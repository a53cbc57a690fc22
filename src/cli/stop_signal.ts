const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** 128 and the number of SIGINT, as shells have it. */
const INTERRUPTED_EXIT_CODE = 130;

/** Calls back at the first signal to stop; a second one ends the process at once. Returns how to undo it. */
export function onStopSignal(callback: () => void): () => void {
  let received = false;
  const handler = (): void => {
    if (received) process.exit(INTERRUPTED_EXIT_CODE);
    received = true;
    callback();
  };
  for (const signal of STOP_SIGNALS) process.on(signal, handler);
  return () => {
    for (const signal of STOP_SIGNALS) process.off(signal, handler);
  };
}
