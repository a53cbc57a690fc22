import type { Command } from 'commander';
import { registerMembersAdd, registerMembersReplace } from './members_add.ts';
import {
  registerMembersPromote,
  registerMembersRemove,
  registerMembersUpdate,
} from './members_change.ts';
import { registerMembersList } from './members_list.ts';
import { registerMembersRecover } from './members_recover.ts';

export function registerMembers(program: Command): void {
  const members = program
    .command('members')
    .summary('list, add, replace and remove the members of a running cluster');
  registerMembersList(members);
  registerMembersAdd(members);
  registerMembersPromote(members);
  registerMembersRemove(members);
  registerMembersReplace(members);
  registerMembersUpdate(members);
  registerMembersRecover(members);
}
