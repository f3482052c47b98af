import { type RefObject, type UIEvent, useLayoutEffect, useRef } from 'react';

/** Within this distance of the end, px, a box counts as scrolled to it. */
const NEAR = 24;

/** For a box whose content grows: keeps its end in sight while the user has scrolled to it. */
export function useFollowEnd(): {
  readonly ref: RefObject<HTMLDivElement | null>;
  readonly onScroll: (event: UIEvent<HTMLDivElement>) => void;
} {
  const ref = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    if (atEnd.current && ref.current !== null) ref.current.scrollTop = ref.current.scrollHeight;
  });
  return {
    ref,
    onScroll: ({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
      atEnd.current = scrollHeight - scrollTop - clientHeight < NEAR;
    },
  };
}
