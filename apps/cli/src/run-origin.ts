/** The job of continuous integration that this command runs in, by what GitHub and GitLab document that they set; so that the record can prove it. */
export function runOrigin(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const { GITHUB_ACTIONS, GITHUB_REPOSITORY, GITHUB_RUN_ID, GITLAB_CI, CI_PROJECT_PATH, CI_JOB_ID } = environment;
  if (GITHUB_ACTIONS === "true" && GITHUB_REPOSITORY && GITHUB_RUN_ID)
    return `ci:github/${GITHUB_REPOSITORY}#${GITHUB_RUN_ID}`;
  if (GITLAB_CI === "true" && CI_PROJECT_PATH && CI_JOB_ID) return `ci:gitlab/${CI_PROJECT_PATH}#${CI_JOB_ID}`;
  return undefined;
}
