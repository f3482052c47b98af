import { Menu } from '@mantine/core';
import { IconDots } from '@tabler/icons-react';
import { useState, type MouseEvent, type ReactElement, type ReactNode } from 'react';
import type { Icon } from './state-mark.tsx';
import { IconButton } from './tip.tsx';
import styles from './action-menu.module.css';

/** One thing that can be done, the same for a button, a kebab and a context menu. */
export interface Action {
  readonly id: string;
  readonly label: string;
  readonly icon: Icon;
  readonly run: () => void;
  /** Why it cannot be done now; shown in place of nothing. */
  readonly blocked?: string | undefined;
  readonly danger?: boolean;
  readonly shortcut?: string;
  /** Begins a new group in menus. */
  readonly group?: boolean;
}

function Items(props: { readonly actions: readonly Action[] }): ReactNode {
  return props.actions.map((action) => {
    const { icon: Symbol } = action;
    return (
      <div key={action.id} className={styles.item}>
        {action.group === true && <Menu.Divider />}
        <Menu.Item
          leftSection={<Symbol size={14} stroke={1.6} />}
          rightSection={action.shortcut === undefined ? undefined : <kbd className={styles.shortcut}>{action.shortcut}</kbd>}
          disabled={action.blocked !== undefined}
          title={action.blocked}
          {...(action.danger === true ? { color: 'red' } : {})}
          onClick={(event) => {
            event.stopPropagation();
            action.run();
          }}
        >
          {action.label}
        </Menu.Item>
      </div>
    );
  });
}

const MENU = { shadow: 'md', transitionProps: { duration: 80 }, withinPortal: true, keepMounted: false, position: 'bottom-end' } as const;

/** The kebab: a button that opens `actions`. */
export function ActionMenu(props: { readonly label: string; readonly actions: readonly Action[] }): ReactElement {
  const [opened, setOpened] = useState(false);
  return (
    <Menu {...MENU} opened={opened} onChange={setOpened}>
      <Menu.Target>
        <span className={styles.target}>
          <IconButton label={props.label} icon={IconDots} expanded={opened} onClick={() => setOpened(!opened)} />
        </span>
      </Menu.Target>
      <Menu.Dropdown className={styles.dropdown} aria-label={props.label}>
        <Items actions={props.actions} />
      </Menu.Dropdown>
    </Menu>
  );
}

/** Where a context menu is open; null when none is. */
export interface MenuPlace {
  readonly x: number;
  readonly y: number;
}

/** The place for a context menu: the pointer, or below the element for the keyboard's menu key. */
export function menuPlace(event: MouseEvent<HTMLElement>): MenuPlace {
  event.preventDefault();
  if (event.clientX !== 0 || event.clientY !== 0) return { x: event.clientX, y: event.clientY };
  const box = event.currentTarget.getBoundingClientRect();
  return { x: box.left + 16, y: box.bottom };
}

/** `actions` at a place on the page. */
export function ContextMenu(props: { readonly label: string; readonly place: MenuPlace | null; readonly actions: readonly Action[]; readonly onClose: () => void }): ReactElement | null {
  if (props.place === null) return null;
  return (
    <Menu {...MENU} position="bottom-start" opened onChange={(opened) => !opened && props.onClose()} returnFocus>
      <Menu.Target>
        <span className={styles.anchor} style={{ left: props.place.x, top: props.place.y }} />
      </Menu.Target>
      <Menu.Dropdown className={styles.dropdown} aria-label={props.label}>
        <Items actions={props.actions} />
      </Menu.Dropdown>
    </Menu>
  );
}
