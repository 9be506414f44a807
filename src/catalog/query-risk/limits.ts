/** The limits that maint.query_risk decides by, where nothing else is configured: step 17 has them as its settings. */
export const defaultLimits = {
  /** A warning too many is read and forgotten; one too few is a slow statement that nobody was told of. */
  warn_risk: 0.5,
  /** A statement refused in error is the worse mistake: only what is slow nearly for sure. */
  block_risk: 0.9,
  /** Advice on what nothing like it was seen of is a guess: rather none. */
  least_confidence: 0.5,
};

export type Limits = typeof defaultLimits;

/** By their paths, as they are configured; null where none is. */
export type ConfiguredLimits = Readonly<Record<string, unknown>> | null;

/** As maint.setting_problem has it, whatever is no number from 0 to 1 counts for nothing. */
const isLimit = (value: unknown): value is number => typeof value === 'number' && value >= 0 && value <= 1;

export function limitsOf(configured: ConfiguredLimits): Limits {
  const limit = (name: keyof Limits): number => {
    const value = configured?.[`features.ml_interception.${name}`];
    return isLimit(value) ? value : defaultLimits[name];
  };
  return {
    warn_risk: limit('warn_risk'),
    block_risk: limit('block_risk'),
    least_confidence: limit('least_confidence'),
  };
}
