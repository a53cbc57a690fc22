import type { RegisterInput } from '../linearizability/register_model.ts';
import { registerKey, registerOf } from './command.ts';
import type { ClientHistory, Request } from './history.ts';
import type { Served, SimProcess } from './process.ts';
import type { World } from './world.ts';

/** A refused request is tried elsewhere after a pause, so often at most. */
const ATTEMPTS_MAX = 4;
const RETRY_MEAN_MS = 10;
/** After this long a client gives up, or asks another member the same again. */
const TIMEOUTS_MS = [50, 300, 1_500];
const ASK_AGAIN_RATE = 0.4;
const CAS_RATE = 0.3;

/** One client: one request after another, each tried until it is answered, refused or given up. */
export class Client {
  readonly #id: number;
  readonly #world: World;
  readonly #history: ClientHistory;
  readonly #leader: () => SimProcess | undefined;
  #running = true;
  /** Number of the last request; what belongs to an earlier one means nothing any more. */
  #request = 0;
  #values = 0;
  #commands = 0;
  #giveUp: () => void = () => undefined;
  #last: SimProcess | undefined;
  /** What this client last saw in each register. */
  readonly #seen = new Map<string, number | null>();

  constructor(
    id: number,
    dependencies: {
      world: World;
      leader: () => SimProcess | undefined;
    },
  ) {
    this.#id = id;
    this.#world = dependencies.world;
    this.#history = dependencies.world.history;
    this.#leader = dependencies.leader;
  }

  start(): void {
    const { events, dice, settings } = this.#world;
    events.schedule(dice.exponential(settings.thinkMeanMs), () => {
      if (this.#running) this.#ask(this.#drawInput(), () => this.start());
    });
  }

  /** Asks nothing more, but waits for the answer that it is owed. */
  stop(): void {
    this.#running = false;
  }

  /** Waits no longer. */
  leave(): void {
    this.#giveUp();
  }

  /** Makes one request and calls back when it was answered, refused or given up. */
  #ask(input: RegisterInput, done: () => void): void {
    const { events, dice } = this.#world;
    this.#request += 1;
    const number = this.#request;
    const request = this.#history.begin({
      client: this.#id,
      number,
      input,
      invokedAt: events.executed,
    });
    const abort = new AbortController();
    let accepted = false;
    const isOpen = () => this.#request === number;
    const end = (answered: boolean) => {
      this.#request += 1;
      this.#giveUp = () => undefined;
      abort.abort();
      if (!answered && accepted && input.kind !== 'read') this.#history.lose(request);
      done();
    };
    this.#giveUp = () => end(false);
    const retry = (left: number) => {
      if (left <= 1) end(false);
      else events.schedule(dice.exponential(RETRY_MEAN_MS), () => attempt(left - 1));
    };
    const attempt = (left: number) => {
      if (!isOpen()) return;
      const process = this.#drawProcess();
      if (process === undefined) {
        retry(left);
        return;
      }
      let refused = false;
      // Until it is refused it may take effect, whether or not the member lives to see it.
      accepted = true;
      this.#send(process, request, abort.signal, (served) => {
        if (!isOpen() || refused) return;
        if (served === 'refused') {
          refused = true;
          retry(left);
        } else {
          this.#last = process;
          this.#learn(request, served);
          end(true);
        }
      });
      events.schedule(dice.pick(TIMEOUTS_MS), () => {
        if (!isOpen() || refused) return;
        if (left > 1 && input.kind !== 'read' && dice.chance(ASK_AGAIN_RATE)) attempt(left - 1);
        else end(false);
      });
    };
    attempt(ATTEMPTS_MAX);
  }

  #send(
    process: SimProcess,
    { client, number: request, input }: Request,
    signal: AbortSignal,
    answer: (served: Served | 'refused') => void,
  ): void {
    if (input.kind === 'read') {
      process.read(registerOf(input.key), signal, answer);
      return;
    }
    this.#commands += 1;
    const number = client * 0x0100_0000 + this.#commands;
    process.write({ number, client, request, input }, answer);
  }

  #learn({ input, ...request }: Request, served: Served): void {
    this.#history.end({ input, ...request }, served, this.#world.events.executed);
    if (input.kind === 'read' && typeof served.output !== 'boolean')
      this.#seen.set(input.key, served.output ?? null);
    else if (input.kind === 'write' || served.output === true)
      this.#seen.set(input.key, 'value' in input ? input.value : null);
  }

  /** The leader, whoever answered last, or anybody: some members are asked that lead no more. */
  #drawProcess(): SimProcess | undefined {
    const { dice, machines, settings } = this.#world;
    const leader = dice.chance(settings.leaderRate) ? this.#leader() : undefined;
    if (leader !== undefined) return leader;
    if (dice.chance(settings.faithfulRate) && this.#last?.life.over === false) return this.#last;
    return dice.pick([...machines.values()])?.process;
  }

  #drawInput(): RegisterInput {
    const { dice, settings } = this.#world;
    const key = registerKey(dice.integer(0, settings.registers - 1));
    if (dice.chance(settings.readRate)) return { kind: 'read', key };
    this.#values += 1;
    const value = this.#id * 0x0100_0000 + this.#values;
    if (!dice.chance(CAS_RATE)) return { kind: 'write', key, value };
    return { kind: 'cas', key, expected: this.#seen.get(key) ?? null, value };
  }
}
