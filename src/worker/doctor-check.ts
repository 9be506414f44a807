/** One line of `pg-maint doctor`. */
export interface Check {
  /** What was looked at. */
  about: string;
  /** problem: something is not examined or not done because of it. advice: a choice that others make differently. */
  status: 'ok' | 'problem' | 'advice';
  says: string;
  /** A statement or a command; null where nothing has to be done. */
  fix: string | null;
}

export const ok = (about: string, says: string): Check => ({ about, status: 'ok', says, fix: null });
