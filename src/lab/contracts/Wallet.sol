// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// The wallet of the published workloads: named accounts with a balance, open to every caller.
/// An account is the keccak-256 of its user name followed by its password, which the caller computes.
/// Storage: the balance of account k lies at keccak256(k, 0), nothing else is stored.
contract Wallet {
    mapping(bytes32 account => uint256) public balanceOf;

    error InsufficientBalance(bytes32 account, uint256 balance, uint256 needed);

    /// Creates the amount in the account.
    function deposit(bytes32 account, uint256 amount) external {
        balanceOf[account] += amount;
    }

    /// Destroys the amount; reverts when the account has less.
    function withdraw(bytes32 account, uint256 amount) external {
        take(account, amount);
    }

    /// Moves the amount; reverts when the first has less. To oneself it changes nothing.
    function transfer(bytes32 from, bytes32 to, uint256 amount) external {
        take(from, amount);
        balanceOf[to] += amount;
    }

    function take(bytes32 account, uint256 amount) private {
        uint256 balance = balanceOf[account];
        if (balance < amount) revert InsufficientBalance(account, balance, amount);
        unchecked {
            balanceOf[account] = balance - amount;
        }
    }
}
