/** How good predictions are: of chances against what happened. Labels are 1 and 0. */

/** Area under the ROC curve: the chance that a slow one has the higher score; ties count half. NaN without both classes. */
export function areaUnderCurve(scores: readonly number[], labels: readonly number[]): number {
  const order = scores
    .map((score, index) => ({ score, label: labels[index] ?? 0 }))
    .sort((a, b) => a.score - b.score);
  let rankSum = 0;
  let positives = 0;
  for (let start = 0; start < order.length;) {
    let end = start;
    while (end < order.length && order[end]?.score === order[start]?.score) end += 1;
    const rank = (start + 1 + end) / 2;
    for (const { label } of order.slice(start, end)) {
      if (label === 0) continue;
      rankSum += rank;
      positives += 1;
    }
    start = end;
  }
  const negatives = order.length - positives;
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Mean squared difference of the chance and what happened. */
export function brierScore(risks: readonly number[], labels: readonly number[]): number {
  return mean(risks.map((risk, index) => (risk - (labels[index] ?? 0)) ** 2));
}

export interface CalibrationBin {
  count: number;
  predicted: number;
  observed: number;
}

/** Groups of equal size in the order of the risk: what was predicted and what happened. */
export function calibrationBins(
  risks: readonly number[],
  labels: readonly number[],
  wanted = 10,
): CalibrationBin[] {
  const order = risks
    .map((risk, index) => ({ risk, label: labels[index] ?? 0 }))
    .sort((a, b) => a.risk - b.risk);
  const count = Math.max(1, Math.min(wanted, order.length));
  return Array.from({ length: count }, (_, bin) =>
    order.slice(Math.floor((bin * order.length) / count), Math.floor(((bin + 1) * order.length) / count)),
  ).map((members) => ({
    count: members.length,
    predicted: mean(members.map(({ risk }) => risk)),
    observed: mean(members.map(({ label }) => label)),
  }));
}

/** Expected calibration error: the mean difference of predicted and observed over the bins, by their size. */
export function calibrationError(risks: readonly number[], labels: readonly number[]): number {
  return calibrationBins(risks, labels).reduce(
    (sum, { count, predicted, observed }) => sum + (count / risks.length) * Math.abs(predicted - observed),
    0,
  );
}

export interface Decisions {
  accuracy: number;
  /** Share of those called slow that were; null where none was called so. */
  precision: number | null;
  /** Share of the slow ones that were called so; null where none was slow. */
  recall: number | null;
}

export function decisionsAt(
  threshold: number,
  risks: readonly number[],
  labels: readonly number[],
): Decisions {
  let right = 0;
  let called = 0;
  let found = 0;
  let slow = 0;
  risks.forEach((risk, index) => {
    const is = labels[index] === 1;
    const says = risk >= threshold;
    right += is === says ? 1 : 0;
    called += says ? 1 : 0;
    slow += is ? 1 : 0;
    found += is && says ? 1 : 0;
  });
  return {
    accuracy: right / risks.length,
    precision: called === 0 ? null : found / called,
    recall: slow === 0 ? null : found / slow,
  };
}
