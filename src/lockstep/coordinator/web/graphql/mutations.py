"""The root of all mutations: each asks whether the caller may, has a command do it, and shows what came of it.

A refusal, or a thing that is not there, is said in the sentences that clients in the field know; commands ask for
permission themselves too. What a caller leaves out of an input stays as it is.
"""

import strawberry

from lockstep.coordinator.web.graphql import note_mutations as notes
from lockstep.coordinator.web.graphql import release_mutations as releases
from lockstep.coordinator.web.graphql import service_mutations as services


@strawberry.type(description="What can be done.")
class Mutation:
    """What can be done."""

    start_release: releases.StartReleaseMutation | None = strawberry.mutation(
        resolver=releases.start_release, description="Start a release of some studies on every enabled task service."
    )
    update_release: releases.UpdateReleaseMutation | None = strawberry.mutation(
        resolver=releases.update_release, description="Change the name or the description of a release."
    )
    cancel_release: releases.CancelReleaseMutation | None = strawberry.mutation(
        resolver=releases.cancel_release, description="Cancel a release on all of its services."
    )
    publish_release: releases.PublishReleaseMutation | None = strawberry.mutation(
        resolver=releases.publish_release, description="Publish a release that is staged."
    )
    sync_studies: releases.SyncStudiesMutation | None = strawberry.mutation(
        resolver=releases.sync_studies, description="Make the studies here those of the data service."
    )
    create_task_service: services.CreateTaskServiceMutation | None = strawberry.mutation(
        resolver=services.create_task_service, description="Register a task service, whose /status must answer."
    )
    update_task_service: services.UpdateTaskServiceMutation | None = strawberry.mutation(
        resolver=services.update_task_service, description="Change a task service; what is left out stays as it is."
    )
    create_release_note: notes.CreateReleaseNoteMutation | None = strawberry.mutation(
        resolver=notes.create_release_note, description="Write a note on a study in a release."
    )
    update_release_note: notes.UpdateReleaseNoteMutation | None = strawberry.mutation(
        resolver=notes.update_release_note, description="Change what a note says."
    )
    remove_release_note: notes.RemoveReleaseNoteMutation | None = strawberry.mutation(
        resolver=notes.remove_release_note, description="Take a note away."
    )
