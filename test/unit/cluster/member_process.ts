import { MemberTransport } from '../../../src/cluster/member_transport.ts';
import { systemClock } from '../../../src/lib/environment.ts';
import type { TlsFiles } from '../../../src/lib/tls_files.ts';

/** Member 2 of two, as JSON in the first argument. */
export interface ProcessOptions {
  readonly clusterId: string;
  /** Hex. */
  readonly genesisHash: string;
  readonly tls: TlsFiles;
  readonly peerPort: number;
}

// A process that its tests may kill and stop. It tells its port and echoes what it hears.
const options = JSON.parse(process.argv[2] ?? '') as ProcessOptions;
const silent = () => undefined;
const transport = new MemberTransport(
  {
    self: 2,
    clusterId: options.clusterId,
    genesisHash: Buffer.from(options.genesisHash, 'hex'),
    listen: { host: '127.0.0.1', port: 0 },
    peers: [{ id: 1, host: '127.0.0.1', port: options.peerPort }],
    tls: options.tls,
    limits: { pingsMissedMax: 200 },
  },
  {
    clock: systemClock,
    random: Math.random,
    logger: { debug: silent, info: silent, warn: silent, error: silent },
  },
);
transport.onMessage((from, payload) => {
  transport.send(from, 'control', payload);
});
await transport.start();
process.send?.(transport.listenPort);
// Without its parent nobody would end it.
process.once('disconnect', () => process.exit());
