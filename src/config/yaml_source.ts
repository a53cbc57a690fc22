import { readFile, stat } from 'node:fs/promises';
import { isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { errorText } from '../lib/error.ts';
import { ConfigError, type ConfigProblem } from './config_error.ts';

/** Steps from the top of a file to a value. */
export type ValuePath = readonly (string | number)[];

/** A parsed file that still knows where each value stands. */
export interface YamlSource {
  readonly file: string;
  /** Plain values: maps are objects, the rest as in JSON. */
  readonly data: unknown;
  /** Line of a value, or of the nearest one around it when there is none. */
  lineOf(path: ValuePath): number;
  /** A scalar as it is written, texts in quotes; undefined for all else. */
  textAt(path: ValuePath): string | undefined;
}

/** Reads a YAML or JSON file of at most `bytesMax`. Throws a ConfigError that says what stands in the way. */
export async function readYamlFile(file: string, bytesMax: number): Promise<YamlSource> {
  let text: string;
  try {
    const { size } = await stat(file);
    if (size > bytesMax)
      throw wholeFileError(file, `holds ${size} bytes; at most ${bytesMax} are read`);
    text = await readFile(file, 'utf8');
  } catch (thrown) {
    if (thrown instanceof ConfigError) throw thrown;
    throw wholeFileError(file, unreadableText(thrown), thrown);
  }
  return parseYaml(text, file);
}

/** Parses one YAML document. Throws a ConfigError with every syntax error, doubled key or unknown tag. */
export function parseYaml(text: string, file: string): YamlSource {
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
    const faults = [...document.errors, ...document.warnings];
    if (faults.length > 0)
      throw new ConfigError(
        faults.map((fault): ConfigProblem => {
          const line = lines.linePos(fault.pos[0]).line;
          return {
            file,
            line,
            path: '',
            value: undefined,
            fix: `not valid YAML: ${fault.message}`,
          };
        }),
      );
    const data: unknown = document.toJS();
    return {
      file,
      data,
      lineOf: (path) => lines.linePos(placeOf(document.contents, path).offset).line,
      textAt: (path) => textOf(placeOf(document.contents, path).node),
    };
  } catch (thrown) {
    if (thrown instanceof ConfigError) throw thrown;
    // Nesting without end, or aliases that multiply.
    throw wholeFileError(file, `not usable YAML: ${errorText(thrown)}`, thrown);
  }
}

function wholeFileError(file: string, fix: string, cause?: unknown): ConfigError {
  return new ConfigError([{ file, path: '', value: undefined, fix }], cause);
}

function unreadableText(thrown: unknown): string {
  const code = (thrown as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'there is no such file; "blockraft init" writes one';
  if (code === 'EISDIR') return 'is a folder; name the file in it';
  if (code === 'EACCES') return 'may not be read by this user; change its owner or mode';
  return errorText(thrown);
}

/** The node at a path, undefined when there is none, and where it or what is around it begins. */
function placeOf(root: Node | null, path: ValuePath): { node: unknown; offset: number } {
  let offset = root?.range?.[0] ?? 0;
  let node: unknown = root;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(
        ({ key }) => isScalar(key) && String(key.value) === String(step),
      );
      if (isScalar(pair?.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair?.value;
    } else if (isSeq(node)) {
      node = node.items[Number(step)];
      if (isNode(node)) offset = node.range?.[0] ?? offset;
    } else return { node: undefined, offset };
  }
  return { node, offset };
}

function textOf(node: unknown): string | undefined {
  if (!isScalar(node)) return undefined;
  return typeof node.value === 'string'
    ? JSON.stringify(node.value)
    : (node.source ?? String(node.value));
}
