import { Button, type ButtonProps } from '@mantine/core';
import type { MouseEvent, ReactElement } from 'react';
import { Tip } from './feedback/tip.tsx';

interface GuardedButtonProps extends ButtonProps {
  /** Why the button is inactive; undefined when it works. */
  readonly blocked: string | undefined;
  readonly type?: 'button' | 'submit';
  readonly onClick?: () => void;
}

/** A button that stays focusable and explains itself while inactive, unlike one with `disabled`. */
export function GuardedButton({ blocked, onClick, ...rest }: GuardedButtonProps): ReactElement {
  const idle = blocked !== undefined;
  function press(event: MouseEvent): void {
    if (idle) event.preventDefault();
    else onClick?.();
  }
  return (
    <Tip label={blocked}>
      <Button {...rest} {...(idle ? { 'aria-disabled': true, 'data-disabled': true } : {})} onClick={press} />
    </Tip>
  );
}
