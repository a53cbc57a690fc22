import { createMPTFromProof } from '@ethereumjs/mpt';
import { RLP } from '@ethereumjs/rlp';
import {
  Contract,
  ContractFactory,
  getBytes,
  hexlify,
  keccak256,
  type TransactionRequest,
  Wallet,
  zeroPadValue,
} from 'ethers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mappingSlot } from '../../src/lab/contract_call.ts';
import tokenArtifact from '../../src/lab/contracts/artifacts/Token.json' with { type: 'json' };
import type { ReceiptMessage } from '../../src/lab/node_service.ts';
import { bytesToBigInt, toPrefixedHex } from '../../src/lib/bytes.ts';
import { type TestCluster, testCluster } from './harness.ts';

const FEES = { maxFeePerGas: 100n * 10n ** 9n, maxPriorityFeePerGas: 1n };
const SUPPLY = 1_000_000n;

describe('ethers and an independent trie against a real cluster', () => {
  let cluster: TestCluster;
  let wallet: Wallet;
  let nonce = 0;

  beforeAll(async () => {
    cluster = await testCluster('local-3');
    wallet = new Wallet(hexlify(cluster.funder.secretKey));
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  /** Signs with ethers, submits, and gives the receipt of the block it is in. */
  async function send(request: TransactionRequest): Promise<ReceiptMessage> {
    const chainId = cluster.genesis.chainId;
    const raw = getBytes(await wallet.signTransaction({ ...request, nonce, chainId }));
    nonce += 1;
    const submission = await cluster.client.submit(raw, 'WAIT_LEVEL_COMMITTED');
    expect(submission.state).toBe('TRANSACTION_STATE_INCLUDED');
    expect(hexlify(submission.hash)).toBe(keccak256(raw));
    const receipt = await cluster.client.receipt(submission.hash);
    expect(receipt).toBeDefined();
    return receipt!;
  }

  test.each([
    ['legacy (EIP-155)', { type: 0, gasPrice: FEES.maxFeePerGas }],
    ['EIP-2930', { type: 1, gasPrice: FEES.maxFeePerGas, accessList: [] }],
    ['EIP-1559', { type: 2, ...FEES }],
  ])('a %s transaction signed by ethers is accepted', async (_, form) => {
    const to = Wallet.createRandom().address;
    const receipt = await send({ ...form, to, value: 12_345n, gasLimit: 21_000n });
    expect(receipt).toMatchObject({ succeeded: true, type: form.type, gasUsed: '21000' });
    expect((await cluster.client.account(getBytes(to))).balance).toBe(12_345n);
  });

  describe('an ERC-20', () => {
    let address: string;
    let token: Contract;

    beforeAll(async () => {
      const factory = new ContractFactory(tokenArtifact.abi, tokenArtifact.bytecode, wallet);
      const creation = await factory.getDeployTransaction(SUPPLY);
      const receipt = await send({ ...creation, type: 2, ...FEES, gasLimit: 2_000_000n });
      expect(receipt.succeeded).toBe(true);
      address = hexlify(receipt.contractAddress);
      token = new Contract(address, tokenArtifact.abi);
    });

    async function call(method: string, ...parameters: unknown[]): Promise<unknown> {
      const data = getBytes(token.interface.encodeFunctionData(method, parameters));
      const answer = await cluster.client.call({ to: getBytes(address), data });
      expect(answer.succeeded).toBe(true);
      return token.interface.decodeFunctionResult(method, answer.returnData)[0];
    }

    async function invoke(method: string, ...parameters: unknown[]): Promise<ReceiptMessage> {
      const data = token.interface.encodeFunctionData(method, parameters);
      return await send({ type: 2, ...FEES, to: address, data, gasLimit: 100_000n });
    }

    test('has its code, name and supply', async () => {
      expect(toPrefixedHex(await cluster.client.code(getBytes(address)))).toBe(
        tokenArtifact.deployedBytecode,
      );
      expect(await call('name')).toBe('BlockRaFT Token');
      expect(await call('totalSupply')).toBe(SUPPLY);
      expect(await call('balanceOf', wallet.address)).toBe(SUPPLY);
    });

    test('moves tokens and logs it as the standard says', async () => {
      const to = Wallet.createRandom().address;
      const receipt = await invoke('transfer', to, 250n);
      expect(receipt.succeeded).toBe(true);
      expect(await call('balanceOf', to)).toBe(250n);
      const [log] = receipt.logs;
      const parsed = token.interface.parseLog({
        topics: log!.topics.map((topic) => hexlify(topic)),
        data: hexlify(log!.data),
      });
      expect([parsed?.name, ...(parsed?.args ?? [])]).toEqual([
        'Transfer',
        wallet.address,
        to,
        250n,
      ]);
    });

    test('reverts with its own error when there is not enough', async () => {
      const to = Wallet.createRandom().address;
      const receipt = await invoke('transfer', to, SUPPLY * 2n);
      expect(receipt.succeeded).toBe(false);
      const data = getBytes(token.interface.encodeFunctionData('transfer', [to, SUPPLY * 2n]));
      const answer = await cluster.client.call({
        from: getBytes(wallet.address),
        to: getBytes(address),
        data,
      });
      expect(answer.succeeded).toBe(false);
      expect(token.interface.parseError(answer.returnData)?.name).toBe('ERC20InsufficientBalance');
    });

    test('an estimate is enough and hardly more', async () => {
      const to = Wallet.createRandom().address;
      const data = getBytes(token.interface.encodeFunctionData('transfer', [to, 1n]));
      const message = { from: getBytes(wallet.address), to: getBytes(address), data };
      const gasLimit = await cluster.client.estimateGas(message);
      const receipt = await send({ type: 2, ...FEES, to: address, data: hexlify(data), gasLimit });
      expect(receipt.succeeded).toBe(true);
      expect(BigInt(receipt.gasUsed) * 100n).toBeGreaterThan(gasLimit * 90n);
    });

    test('every member proves an account, a slot and an absence to an independent trie', async () => {
      const holder = getBytes(wallet.address);
      const slot = mappingSlot(holder, 0);
      const absent = new Uint8Array(32).fill(0xab);
      const balance = (await call('balanceOf', wallet.address)) as bigint;
      for (const { id } of cluster.processes.members) {
        const proof = await cluster.clientOf(id).proof(getBytes(address), [slot, absent]);
        const accountBytes = await prove(proof.stateRoot, getBytes(address), proof.accountProof);
        const [, , storageRoot, codeHash] = RLP.decode(accountBytes ?? []) as Uint8Array[];
        expect(hexlify(storageRoot!)).toBe(hexlify(proof.storageRoot));
        expect(hexlify(codeHash!)).toBe(keccak256(tokenArtifact.deployedBytecode));
        const [present, missing] = proof.storageProofs;
        const value = await prove(proof.storageRoot, slot, present!.proof);
        expect(bytesToBigInt(RLP.decode(value ?? []) as Uint8Array)).toBe(balance);
        expect(await prove(proof.storageRoot, absent, missing!.proof)).toBeNull();
        expect(missing!.value.length).toBe(0);
        const nobody = getBytes(Wallet.createRandom().address);
        const absence = await cluster.clientOf(id).proof(nobody, []);
        expect(await prove(absence.stateRoot, nobody, absence.accountProof)).toBeNull();
      }
    });

    test('a proof is for the root that a header carries two blocks later', async () => {
      const to = zeroPadValue('0x01', 20);
      const { height, stateRoot } = await cluster.client.proof(getBytes(address), []);
      await send({ type: 2, ...FEES, to, value: 1n, gasLimit: 21_000n });
      await send({ type: 2, ...FEES, to, value: 1n, gasLimit: 21_000n });
      const block = await cluster.client.block(Number(height) + 2);
      expect(hexlify(block!.header.stateRoot)).toBe(hexlify(stateRoot));
    });
  });
});

/** The value that the nodes prove under a root, null when they prove that there is none. */
async function prove(
  root: Uint8Array,
  key: Uint8Array,
  nodes: readonly Uint8Array[],
): Promise<Uint8Array | null> {
  expect(nodes.length).toBeGreaterThan(0);
  expect(keccak256(nodes[0]!)).toBe(hexlify(root));
  const trie = await createMPTFromProof([...nodes], {
    root: Uint8Array.from(root),
    useKeyHashing: true,
  });
  return await trie.get(key, true);
}
