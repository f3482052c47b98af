import { IconGitBranch } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import type { TemplateRepositoryState } from '../../src-shared/state.ts';
import { Copyable } from '../ui/copyable.tsx';
import { Empty } from '../ui/feedback/empty.tsx';
import table from '../ui/table.module.css';
import styles from './library-page.module.css';

const KINDS: Readonly<Record<TemplateRepositoryState['kind'], { readonly word: string; readonly title: string }>> = {
  'built-in': { word: 'built in', title: 'Comes with the program' },
  configured: { word: 'configured', title: 'Named by lago.conf or the environment' },
  added: { word: 'added', title: 'A clone of a git repository' },
};

/** The template repositories, and why one cannot be listed. */
export function RepositoriesTable(props: { readonly repositories: readonly TemplateRepositoryState[] }): ReactElement {
  if (props.repositories.length === 0) {
    return (
      <Empty
        icon={IconGitBranch}
        title="No template repositories"
        body="A repository is a JSON file that lists templates and where their images are. Add one that is kept in git."
      />
    );
  }
  return (
    <table className={table.table} aria-label="Repositories">
      <thead>
        <tr>
          <th>Name</th>
          <th>Kind</th>
          <th className={table.number}>Templates</th>
          <th className={styles.location}>Location</th>
        </tr>
      </thead>
      <tbody>
        {props.repositories.map((repository) => (
          <tr key={repository.location} aria-label={repository.name}>
            <td className={styles.repository}>
              <span className="mono">{repository.name}</span>
              {repository.problem !== null && <span className={styles.problem}>{repository.problem}</span>}
            </td>
            <td className="nowrap" title={KINDS[repository.kind].title}>
              {KINDS[repository.kind].word}
            </td>
            <td className={table.number}>{repository.problem === null ? repository.templates : <span className="faint">–</span>}</td>
            <td className={styles.location}>
              <Copyable text={repository.location} what={`location of ${repository.name}`} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
