/** Logistic regression on one number: Platt's scaling of margins, and the baseline that knows the planner's cost alone. */
import type { Calibration } from '../../catalog/query-risk/model.ts';

/**
 * Slope and offset that make the labels likeliest, by Newton's method. The targets are drawn in as Platt does (1999), so
 * that few labels, or classes that don't overlap, give no chance of 0 or 1.
 */
export function fitLogistic(scores: readonly number[], labels: readonly number[]): Calibration {
  const positives = labels.filter((label) => label === 1).length;
  const negatives = labels.length - positives;
  const high = (positives + 1) / (positives + 2);
  const low = 1 / (negatives + 2);
  let slope = 1;
  let offset = Math.log((positives + 1) / (negatives + 1));
  for (let round = 0; round < 100; round += 1) {
    let gradientSlope = 1e-9 * slope;
    let gradientOffset = 0;
    let slopeSlope = 1e-6;
    let slopeOffset = 0;
    let offsetOffset = 1e-6;
    scores.forEach((score, index) => {
      const chance = 1 / (1 + Math.exp(-(slope * score + offset)));
      const difference = chance - (labels[index] === 1 ? high : low);
      const weight = Math.max(chance * (1 - chance), 1e-6);
      gradientSlope += difference * score;
      gradientOffset += difference;
      slopeSlope += weight * score * score;
      slopeOffset += weight * score;
      offsetOffset += weight;
    });
    const determinant = slopeSlope * offsetOffset - slopeOffset ** 2;
    const stepSlope = (offsetOffset * gradientSlope - slopeOffset * gradientOffset) / determinant;
    const stepOffset = (slopeSlope * gradientOffset - slopeOffset * gradientSlope) / determinant;
    // Never further than a few units at once: Newton's step overshoots where all chances are near 0 or 1.
    const shrink = Math.min(1, 3 / Math.max(Math.abs(stepSlope), Math.abs(stepOffset), 1e-12));
    slope -= shrink * stepSlope;
    offset -= shrink * stepOffset;
    if (Math.abs(stepSlope) + Math.abs(stepOffset) < 1e-8) break;
  }
  return { slope, offset };
}
