import type { History, Model } from './history.ts';

/** Tries every order of a short history; the definition, without a thought of speed. */
export function isLinearizable<State, Input, Output>(
  model: Model<State, Input, Output>,
  history: History<Input, Output>,
): boolean {
  const explain = (state: State, rest: History<Input, Output>): boolean =>
    rest.every(({ result }) => result === undefined) ||
    rest.some((operation) => {
      const isAfterAnother = rest.some(
        ({ result }) => result !== undefined && result.at < operation.invokedAt,
      );
      if (isAfterAnother) return false;
      const next = model.step(state, operation.input, operation.result?.output);
      if (next === undefined) return false;
      return explain(
        next,
        rest.filter((other) => other !== operation),
      );
    });
  return explain(model.initial, history);
}
