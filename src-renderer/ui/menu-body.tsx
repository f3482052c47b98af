import { Menu } from '@mantine/core';
import '@mantine/core/styles/Menu.css';
import '@mantine/core/styles/Popover.css';
import type { ReactElement } from 'react';
import type { Action, MenuPlace } from './action.ts';
import styles from './action-menu.module.css';

interface MenuBodyProps {
  readonly label: string;
  readonly place: MenuPlace;
  readonly side: 'bottom-start' | 'bottom-end';
  readonly actions: readonly Action[];
  readonly onClose: () => void;
}

/** An open menu of actions at a place on the page. Loaded when the first menu is opened. */
export function MenuBody(props: MenuBodyProps): ReactElement {
  return (
    <Menu
      opened
      position={props.side}
      shadow="md"
      transitionProps={{ duration: 80 }}
      onChange={(opened) => !opened && props.onClose()}
      trapFocus
      returnFocus
    >
      <Menu.Target>
        <span className={styles.anchor} style={{ left: props.place.x, top: props.place.y }} />
      </Menu.Target>
      <Menu.Dropdown className={styles.dropdown} aria-label={props.label}>
        {props.actions.map((action) => {
          const { icon: Symbol } = action;
          return (
            <div key={action.id} className={styles.item}>
              {action.group === true && <Menu.Divider />}
              <Menu.Item
                leftSection={<Symbol size={14} stroke={1.6} />}
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
        })}
      </Menu.Dropdown>
    </Menu>
  );
}
