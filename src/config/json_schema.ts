import { z } from 'zod';
import { clusterSchema } from './cluster_schema.ts';
import { genesisSchema } from './genesis_schema.ts';

export type ConfigKind = 'cluster' | 'genesis';

/** The JSON Schema of a file's form, for editors. Relations between values are beyond it. */
export function configJsonSchema(kind: ConfigKind): object {
  return z.toJSONSchema(kind === 'cluster' ? clusterSchema : genesisSchema, { io: 'input' });
}
