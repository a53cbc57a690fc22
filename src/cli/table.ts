/** Columns as wide as their widest cell, two spaces apart; numbers to the right. The first row is the head. */
export function tableText(rows: readonly (readonly string[])[]): string {
  const [head = []] = rows;
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const isNumeric = head.map((_, column) =>
    rows.slice(1).every((row) => /^-?[\d,.]*$/.test(row[column] ?? '')),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return isNumeric[column] ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return rows.map(line).join('\n');
}

/** 12345 as 12,345. */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
