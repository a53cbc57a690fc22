// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// The voting of the published workloads: voters spend tokens on candidates, open to every caller.
/// A voter or candidate is the keccak-256 of its name, which the caller computes.
/// Storage: the tokens of voter k lie at keccak256(k, 0), the votes of candidate k at keccak256(k, 1).
contract Voting {
    mapping(bytes32 voter => uint256) public tokensOf;
    mapping(bytes32 candidate => uint256) public votesOf;

    uint256 public constant TOKENS_AT_REGISTRATION = 10000;

    error InsufficientTokens(bytes32 voter, uint256 tokens, uint256 needed);

    /// Gives the voter its tokens, whatever it had before.
    function registerVoter(bytes32 voter) external {
        tokensOf[voter] = TOKENS_AT_REGISTRATION;
    }

    /// Starts the candidate at no votes, whatever it had before.
    function registerCandidate(bytes32 candidate) external {
        votesOf[candidate] = 0;
    }

    /// Turns one token of the voter into a vote; reverts when it has none.
    function castVote(bytes32 voter, bytes32 candidate) external {
        take(voter, 1);
        votesOf[candidate] += 1;
    }

    /// Moves tokens between voters; reverts when the first has fewer. To oneself it changes nothing.
    function transferVote(bytes32 from, bytes32 to, uint256 amount) external {
        take(from, amount);
        tokensOf[to] += amount;
    }

    function take(bytes32 voter, uint256 amount) private {
        uint256 tokens = tokensOf[voter];
        if (tokens < amount) revert InsufficientTokens(voter, tokens, amount);
        unchecked {
            tokensOf[voter] = tokens - amount;
        }
    }
}
