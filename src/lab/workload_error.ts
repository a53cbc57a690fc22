import { CodedError } from '../lib/error.ts';

/** `SYNTAX`: a line of a workload file; `UNSATISFIABLE`: a generator cannot make what was asked. */
export class WorkloadError extends CodedError<'SYNTAX' | 'UNSATISFIABLE' | 'UNREADABLE'> {}
