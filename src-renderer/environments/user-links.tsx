import type { ReactElement } from 'react';
import { type EnvironmentUser, useOpenUser } from './use-open-user.ts';
import styles from './user-links.module.css';

/** Links to the environments that use something. */
export function UserLinks(props: { readonly users: readonly EnvironmentUser[] }): ReactElement {
  const openUser = useOpenUser();
  const { users } = props;
  if (users.length === 0) return <span className="faint">–</span>;
  return (
    <span className={styles.users}>
      {users.slice(0, 2).map((user) => (
        <button
          key={user.path}
          type="button"
          className={styles.user}
          title={`Show the environment ${user.path}`}
          onClick={(event) => {
            event.stopPropagation();
            openUser(user);
          }}
        >
          {user.name}
        </button>
      ))}
      {users.length > 2 && (
        <span className="faint" title={users.map((user) => user.name).join('\n')}>
          and {users.length - 2} more
        </span>
      )}
    </span>
  );
}
