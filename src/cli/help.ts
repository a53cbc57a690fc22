/** The examples at the end of a command's `--help`: pairs of a command line and what it does. */
export function examples(pairs: readonly (readonly [command: string, does: string])[]): string {
  const width = Math.max(...pairs.map(([command]) => command.length));
  const lines = pairs.map(([command, does]) => `  $ ${command.padEnd(width)}   ${does}`);
  return `\nExamples:\n${lines.join('\n')}\n`;
}
