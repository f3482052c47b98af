/** Which points of which VM to compare. */
export interface CompareRequest {
  readonly vm: string;
  /** Name of a snapshot. */
  readonly from: string;
  /** Name of another one; null for the present. */
  readonly to: string | null;
}
