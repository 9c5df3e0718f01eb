"""The documents that the dashboard in the field (1.8.3) sends, one operation each, as its library prints them.

They were put together from what the running dashboard was seen to ask: the operation and its variables, the arguments,
the fields that are read, and `__typename` in every selection.
"""

from typing import Final

_RELEASE: Final = """
      id
      kfId
      version
      name
      state
      createdAt
      isMajor
      description
      studies {
        edges {
          node {
            id
            kfId
            name
            __typename
          }
          __typename
        }
        __typename
      }
      notes {
        edges {
          node {
            id
            description
            __typename
          }
          __typename
        }
        __typename
      }
      __typename
"""
_SERVICE: Final = """
      id
      kfId
      name
      createdAt
      description
      healthStatus
      enabled
      url
      __typename
"""

STATUS: Final = "query Status { status { name version commit __typename } }"

PROFILE: Final = """
query profile {
  myProfile {
    id username email roles groups picture slackNotify slackMemberId firstName lastName __typename
  }
}
"""

ALL_RELEASES: Final = """
query AllReleases($first: Int, $state: String) {
  allReleases(first: $first, state: $state, orderBy: "-created_at") {
    edges {
      node {
        id kfId version name state createdAt isMajor description author
        studies { edges { node { id kfId name createdAt __typename } __typename } __typename }
        notes { edges { node { id description study { id __typename } __typename } __typename } __typename }
        __typename
      }
      __typename
    }
    __typename
  }
}
"""

GET_RELEASE: Final = """
query GetRelease($id: ID!) {
  release(id: $id) {
    id author kfId version name state createdAt isMajor description
    studies { edges { node { id kfId name createdAt __typename } __typename } __typename }
    notes { edges { node { id description __typename } __typename } __typename }
    __typename
  }
}
"""

ALL_NOTES: Final = """
query AllNotes($release: ID) {
  allReleaseNotes(release: $release) {
    edges {
      node { id kfId description createdAt study { id __typename } __typename }
      __typename
    }
    __typename
  }
}
"""

ALL_EVENTS: Final = """
query AllEvents($release: ID, $first: Int, $taskService: ID) {
  allEvents(release: $release, taskService: $taskService, orderBy: "-created_at", first: $first) {
    edges {
      node {
        id createdAt message
        release { id kfId name __typename }
        taskService { id kfId name __typename }
        task { id kfId __typename }
        __typename
      }
      __typename
    }
    __typename
  }
}
"""

ALL_TASKS: Final = """
query AllTasks($first: Int, $release: String) {
  allTasks(first: $first, release: $release) {
    edges {
      node { id kfId state createdAt taskService { id name __typename } __typename }
      __typename
    }
    __typename
  }
}
"""

ALL_STUDIES: Final = """
query AllStudies($first: Int) {
  allStudies(first: $first, orderBy: "-created_at") {
    edges {
      node {
        id kfId name createdAt visible deleted
        releases(state: "published", first: 1, orderBy: "-created_at") {
          edges { node { id kfId version __typename } __typename }
          __typename
        }
        __typename
      }
      __typename
    }
    __typename
  }
}
"""

GET_STUDY: Final = """
query GetStudy($id: ID!) {
  study(id: $id) {
    id kfId name createdAt visible deleted
    releases(orderBy: "-created_at") {
      edges { node { id kfId name description createdAt version __typename } __typename }
      __typename
    }
    __typename
  }
}
"""

ALL_SERVICES: Final = """
query AllServices {
  allTaskServices {
    edges {
      node { id kfId name description enabled url author healthStatus __typename }
      __typename
    }
    __typename
  }
}
"""

GET_SERVICE: Final = """
query GetService($id: ID!) {
  taskService(id: $id) {
    id author kfId name createdAt description healthStatus enabled url __typename
  }
}
"""

START_RELEASE: Final = f"""
mutation StartRelease($input: ReleaseInput!) {{
  startRelease(input: $input) {{
    release {{{_RELEASE}    }}
    __typename
  }}
}}
"""

PUBLISH_RELEASE: Final = f"""
mutation PublishRelease($release: ID!) {{
  publishRelease(release: $release) {{
    release {{{_RELEASE}    }}
    __typename
  }}
}}
"""

CANCEL_RELEASE: Final = f"""
mutation CancelRelease($release: ID!) {{
  cancelRelease(release: $release) {{
    release {{{_RELEASE}    }}
    __typename
  }}
}}
"""

UPDATE_RELEASE: Final = f"""
mutation UpdateRelease($input: UpdateReleaseInput!, $release: ID!) {{
  updateRelease(release: $release, input: $input) {{
    release {{{_RELEASE}    }}
    __typename
  }}
}}
"""

CREATE_SERVICE: Final = f"""
mutation CreateService($input: TaskServiceInput!) {{
  createTaskService(input: $input) {{
    taskService {{{_SERVICE}    }}
    __typename
  }}
}}
"""

UPDATE_SERVICE: Final = f"""
mutation UpdateService($taskService: ID!, $input: TaskServiceInput!) {{
  updateTaskService(taskService: $taskService, input: $input) {{
    taskService {{{_SERVICE}    }}
    __typename
  }}
}}
"""

SYNC_STUDIES: Final = """
mutation SyncStudies {
  syncStudies {
    new { edges { node { id kfId name createdAt visible deleted __typename } __typename } __typename }
    deleted { edges { node { id kfId name createdAt visible deleted __typename } __typename } __typename }
    __typename
  }
}
"""

CREATE_NOTE: Final = """
mutation CreateReleaseNote($input: ReleaseNoteInput!) {
  createReleaseNote(input: $input) { releaseNote { id __typename } __typename }
}
"""

UPDATE_NOTE: Final = """
mutation UpdateReleaseNote($input: UpdateReleaseNoteInput!, $releaseNote: ID!) {
  updateReleaseNote(input: $input, releaseNote: $releaseNote) { releaseNote { id __typename } __typename }
}
"""

REMOVE_NOTE: Final = """
mutation RemoveReleaseNote($releaseNote: ID!) {
  removeReleaseNote(releaseNote: $releaseNote) { success __typename }
}
"""
