/** Rows above and below those in sight that are there too, so that a quick scroll shows no gap. */
const AROUND = 12;

/** Which of many rows of equal height have to be on the page: from `first` to before `end`. */
export function rowWindow(
  count: number,
  rowHeight: number,
  scrollTop: number,
  height: number,
): { readonly first: number; readonly end: number } {
  const first = Math.min(count, Math.max(0, Math.floor(scrollTop / rowHeight) - AROUND));
  return { first, end: Math.min(count, Math.ceil((scrollTop + height) / rowHeight) + AROUND) };
}
