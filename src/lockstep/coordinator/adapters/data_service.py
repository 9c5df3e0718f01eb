"""The data service, as the coordinator's port has it: all studies at once, and one kind of error."""

from collections.abc import Sequence

from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.core.records import StudyFacts
from lockstep.dataservice.client import DataService, DataServiceError


class HttpDataService:
    """A data service at an address.

    Args:
        url: where its lists begin.
        timeout_s: seconds that one page may take.

    Raises:
        ValueError: the address is no HTTP address.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._url = DataService(url).url

    async def studies(self) -> Sequence[StudyFacts]:
        """Return every study, of all pages.

        Raises:
            Unavailable: the data service did not give them.
        """
        try:
            async with DataService(self._url, timeout_s=self._timeout_s) as service:
                return [
                    StudyFacts(study.kf_id, study.name, study.visible, study.created_at)
                    async for study in service.studies()
                ]
        except DataServiceError as error:
            raise Unavailable(f"The studies could not be read: {error}") from error

    def study_url(self, study_id: str) -> str:
        """Return the retrieval address of a study."""
        return f"{self._url}/studies/{study_id}"
