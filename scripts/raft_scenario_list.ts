/** One situation that a replicated log must survive. */
export interface Scenario {
  readonly number: number;
  readonly topic: string;
  /** What happens and what must hold. */
  readonly text: string;
}

/** Why a situation cannot arise here at all; one that has a test is not listed. */
export const CANNOT_ARISE: ReadonlyMap<number, string> = new Map();

const TOPICS: readonly (readonly [topic: string, from: number, texts: readonly string[]])[] = [
  [
    'Election',
    1,
    [
      'An entry of an old term on a majority commits only through one of the current term (figure 8).',
      'A vote leaves only after it is durable; no crash makes two votes of one term.',
      'A new leader counts its own log only as far as its own disk has it.',
      'A longer log of an older last term loses an election.',
      'A member that was cut off comes back without raising the term or deposing the leader.',
      'A rejected PreVote that shows a higher term makes the candidate adopt it.',
      'PreVote replies that come after the election are ignored.',
      'Granting a PreVote does not touch the timer that watches the leader.',
      'Members of two versions finish an election during an upgrade.',
      'A leader that sends but hears nothing gives up.',
      'One follower that cannot hear the leader disturbs nobody.',
      'A learner that was promoted and does not know it yet votes when asked.',
      'A member without a vote never campaigns and gets no vote.',
      'Split votes end within a bound.',
      'A voter that was just added and is silent does not cost the leader its quorum at once.',
    ],
  ],
  [
    'Replication',
    16,
    [
      'A repeated or old append removes nothing that agrees with the leader.',
      'The logs of figure 7 are mended from the first conflict on, in few round trips.',
      'An append that starts below the compacted prefix is no conflict.',
      'A rejection that arrives after a success moves nothing back.',
      'An acknowledgement from before a log went back is not counted.',
      'Messages of an old term are dropped.',
      'Clusters of even size need exactly one more than half.',
      'The quorum of a commit equals the brute-force answer.',
      'The commit index stops at what was compared with the leader.',
      'A full in-flight window opens again after losses.',
      'A follower that was reported lost and is current leaves probing.',
      'A follower below the compacted prefix gets a snapshot.',
      'With everything compacted and nothing new, an unknown follower still gets a snapshot.',
      'A write that was overwritten meanwhile makes nothing durable that replaced it.',
      'Completions of writes out of order never move progress back.',
      'No entry is durable before its term is.',
      'Without a quorum proposals are refused at a limit, and the counter drains.',
      'A proposal that arrives twice acts once.',
      'A failed read of the log stops the member and sends nothing malformed.',
    ],
  ],
  [
    'Reads',
    35,
    [
      'An isolated old leader answers no read.',
      'A read waits until the leader has committed in its term.',
      'Answers to reads of an earlier start or leader fit no later read.',
      'A leader paused beyond its lease refuses a lease read.',
      'A lease counts from the sending of its heartbeat, on the monotonic clock alone.',
      'The lease is looked at for each read.',
      'A read during a hand-over is refused.',
      'After a restart a read waits until the state machine has caught up.',
    ],
  ],
  [
    'Snapshots',
    43,
    [
      'Appends and the installation of a snapshot never run into each other.',
      'Of two snapshots in quick succession the newest wins.',
      'A snapshot at or below the commit index is ignored and acknowledged.',
      'A snapshot that contradicts a committed entry stops the member.',
      'A crash at any step of an installation boots with the old state or the new one.',
      'An old state with a newer log replays; a gap between them refuses to start.',
      'A snapshot taken in a joint configuration restores it.',
      'Lost and repeated chunks, and a change of leader, still give the right bytes.',
      'A peer that cannot be reached during its snapshot delays no other.',
      'A snapshot asked for while one is being made is not forgotten.',
      'A flipped bit in a snapshot is detected, and the chunk fetched again.',
    ],
  ],
  [
    'Membership',
    54,
    [
      'A change is refused until the leader has committed in its term.',
      'A second change is refused while one is pending.',
      'A truncated configuration gives way to the one before it.',
      'A restart finds the configuration in force, joint or uncommitted.',
      'A leader that removes itself is not counted, and steps down when that is committed.',
      'A removed member that campaigns disturbs nobody.',
      'A cut-off member cannot commit a change.',
      'A leader that dies in a joint configuration leaves one that its successor finishes.',
      'Rival changes end in one configuration that is not joint.',
      'A wiped member is refused under its old id.',
      'A member with an empty log is a learner before it votes.',
    ],
  ],
  [
    'Hand-over',
    65,
    [
      'The target is caught up, durably, before it is told to campaign.',
      'A hand-over to a dead target ends after an election timeout, and writes go on.',
      'Writes during a hand-over are refused and may be tried again.',
      'A hand-over to a member that is removed ends.',
      'A late order to campaign is ignored.',
    ],
  ],
  [
    'Disk and time',
    70,
    [
      'A tail that is torn at any byte is cut at the last valid record.',
      'A damaged record with valid ones behind it stops the member; nothing is cut.',
      'What lies behind the last record is zeroed before anything is appended.',
      'A damaged length is bounded by the file.',
      'A crash while a segment is changed loses nothing that was acknowledged.',
      'A failed fsync ends the process and is never tried again.',
      'A full disk stops the member with a clear error and leaves no half batch.',
      'Lost and reordered writes take only what was not acknowledged.',
      'A single member acknowledges after its own fsync.',
      'The applied index is in the batch of what it stands for.',
      'A crash while a tail is cut does not bring it back.',
      'A disk that stalls for a minute makes no second leader.',
      'Power lost everywhere loses nothing that was acknowledged.',
      'After clogging, pauses, crash loops and an upgrade the cluster converges and serves.',
    ],
  ],
];

export const SCENARIOS: readonly Scenario[] = TOPICS.flatMap(([topic, from, texts]) =>
  texts.map((text, position) => ({ number: from + position, topic, text })),
);
