//! What stands below the help of a command: examples, and what else it is good to know.

pub(super) const EXAMPLES: &str = "\
Examples:
  sim run scenarios/partition.toml          what a partition does to 50 nodes
  sim run scenarios/*.toml --seeds 20       every scenario with seeds 1 to 20
  sim run scenarios/loss.toml --set network.loss=40%
                                            the same cluster on a worse network
  sim run scenarios/loss.toml --trace       and write down everything that happens
  sim explain out/loss/seed-1 --rumor metadata-0
                                            who told whom when, and why a node was late
  sim check my.toml                         is this scenario right?
  sim sweep scenarios/loss.toml --vary engine.fan_out=1..=8
                                            what the fan-out does
  sim measures                              what [expect] can ask for
  sim model --stop feedback-counter:2       what the textbook says of such a rumor

Exit codes: 0 all expectations held, 1 one failed, 2 the command or a scenario is wrong,
3 disk or rights, 130 interrupted.";

pub(super) const RUN_EXAMPLES: &str = "\
Examples:
  sim run scenarios/partition.toml
  sim run scenarios/partition.toml --seed 7 --json | jq .node_list
  sim run scenarios/*.toml --seeds 100 --threads 8 -q && echo all held
  sim run scenarios/loss.toml --set engine.fan_out=4 --set network.loss=30%
  sim run scenarios/loss.toml --protocol pekonode       what another protocol makes of it

The same scenario and seed give the same results on every machine, with any number of threads.
The files of a run are in OUT/<name>/seed-<seed>/, those of all seeds together (a picture, an
aggregate) in OUT/<name>/; with --set the folder is OUT/<name>+<digest of the scenario>/.";

pub(super) const EXPLAIN_EXAMPLES: &str = "\
Examples:
  sim run scenarios/loss.toml --trace
  sim explain out/loss/seed-1                         which rumors there were
  sim explain out/loss/seed-1 --rumor metadata-0      who told whom, when
  sim explain out/loss/seed-1 --rumor metadata-0 --node 17
                                                      why so late, or never?
  sim explain out/loss/seed-1 --node 17               all of that node

Without --trace the run knows who told whom, but not what became of the packets in between.";

pub(super) const DIFF_EXAMPLES: &str = "\
Examples:
  sim run a.toml --trace --out before       and again with another binary, seed or --set
  sim run a.toml --trace --out after
  sim diff before/a/seed-1 after/a/seed-1

Exit codes: 0 the same, 1 they part, 2 no traces, or traces with different filters.";

pub(super) const COMPARE_EXAMPLES: &str = "\
Examples:
  sim compare scenarios/loss.toml scenarios/loss.toml,engine.fan_out=5
  sim compare before/loss after/loss --fail-if-worse
                                            two folders of `sim run --seeds`, as CI does
  sim compare before/loss scenarios/loss.toml --measure metadata.t99 --measure bytes.with_headers
  sim compare before/loss after/loss --fail-if-worse --format markdown >> summary.md

A and B are each a folder of results, a cell of a sweep (out/NAME/sweep-DIGEST/cells/00003.json),
or a scenario with settings, FILE,KEY=VALUE,..., which is run. Runs are paired by their seeds.

Exit codes: 0 compared, 1 B is worse in a measure (with --fail-if-worse), 2 a side is wrong, or
there are too few pairs to show anything (with --fail-if-worse).";

pub(super) const SWEEP_EXAMPLES: &str = "\
Examples:
  sim sweep scenarios/loss.toml --vary engine.fan_out=1..=8
  sim sweep scenarios/loss.toml --vary engine.fan_out=1..=8 --vary engine.cycle=250ms,500ms,1s,2s
  sim sweep scenarios/loss.toml --vary network.loss=0%,5%,20% --measure metadata.t99 --seeds 50
  sim sweep scenarios/loss.toml --vary nodes=10,100,1000 --shard 1/4
                                            a quarter of it; `sim merge` joins the quarters
  sim sweep scenarios/loss.toml --vary nodes=10,100,1000 --print-shards 8 | head -n -1 | parallel
                                            a command for each eighth, the last line joins them

Every cell has the same seeds. Results are in OUT/<name>/sweep-<digest>/: a row for each run in
sweep.csv, each cell over its seeds in sweep.json, pictures, and report.html. A finished cell is
kept at once: the same command goes on where an ended one was. Results don't depend on the number
of threads, nor on whether a sweep was ended and went on.

Exit codes: 0 swept, whatever expectations of the scenario failed; 1 a law was broken, which is a
bug; 2 the command or the scenario is wrong; 3 disk or rights; 130 interrupted.";

pub(super) const MERGE_EXAMPLES: &str = "\
Examples:
  sim merge out/loss/sweep-1a2b3c4d/shard-*-of-4
  sim merge /from/node-1 /from/node-2 --out joined

Exit codes: 0 joined, 2 the slices are not those of one sweep, each once and all of them.";

pub(super) const TUNE_EXAMPLES: &str = "\
Examples:
  sim tune scenarios/loss.toml --target 'metadata.t99 <= 1s'
  sim tune scenarios/loss.toml --target 'detection.all <= 4s' --target 'removals.false == 0'
  sim tune my.toml --target 'metadata.t99 <= 200ms' --share 95% --minimize messages.sent
  sim tune my.toml --target 'detection.all <= 4s' --vary engine.timeout=2s,3s,4s

Searched are fan_out and cycle, and what --vary names beside or instead of them. Every run must
hold all targets unless --share says otherwise. What is recommended has held on fresh seeds, which
had no part in its choice.

Exit codes: 0 a setting is recommended, 1 none meets the targets, 2 the command or the scenario is
wrong.";

pub(super) const FUZZ_EXAMPLES: &str = "\
Examples:
  sim fuzz                                  1,000 random scenarios; is any law broken?
  sim fuzz --for 10m --nodes 5..=30         as many as fit into ten minutes
  sim fuzz scenarios/churn.toml --runs 200  more faults in a scenario of your own

What is found is made as small as it gets and written to OUT/fuzz/seed-S/: findings.json, and a
scenario for each failure. The same command goes on where it ended.

Exit codes: 0 nothing broke, 1 something did, 2 the command is wrong, 3 disk or rights, 130
interrupted.";

pub(super) const SHRINK_EXAMPLES: &str = "\
Examples:
  sim shrink out/fuzz/seed-1/convergence-0.toml
  sim shrink scenarios/mine.toml --seeds 20 --out small.toml

Exit codes: 0 here is the smallest, 2 the file is wrong or holds, 3 disk or rights, 130
interrupted.";
