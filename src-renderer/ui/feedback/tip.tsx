import { ActionIcon } from '@mantine/core';
import type { ComponentType, ReactElement, ReactNode } from 'react';
import { Tooltip } from '../tooltip.tsx';

/** Text that appears on hover and focus; none while `label` is undefined. */
export function Tip(props: {
  readonly label: ReactNode;
  readonly position?: 'top' | 'right';
  readonly children: ReactElement<object>;
}): ReactElement {
  return (
    <Tooltip label={props.label} position={props.position ?? 'top'}>
      {props.children}
    </Tooltip>
  );
}

interface IconButtonProps {
  /** The accessible name, and the tooltip by default. */
  readonly label: string;
  /** The tooltip when it says more than the name. */
  readonly tip?: string | undefined;
  readonly icon: ComponentType<{ size?: number | string; stroke?: number | string }>;
  readonly onClick: () => void;
  readonly disabled?: boolean | undefined;
  readonly size?: number;
  readonly tabIndex?: number;
  readonly expanded?: boolean;
}

/** A square icon button with an accessible name. */
export function IconButton(props: IconButtonProps): ReactElement {
  const { icon: Icon, label, size = 24 } = props;
  return (
    <Tip label={props.tip ?? label}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size={size}
        aria-label={label}
        {...(props.disabled === true ? { 'aria-disabled': true, 'data-disabled': true } : {})}
        {...(props.expanded === undefined ? {} : { 'aria-expanded': props.expanded })}
        {...(props.tabIndex === undefined ? {} : { tabIndex: props.tabIndex })}
        onClick={(event) => {
          event.stopPropagation();
          if (props.disabled !== true) props.onClick();
        }}
      >
        <Icon size={16} stroke={1.6} />
      </ActionIcon>
    </Tip>
  );
}
