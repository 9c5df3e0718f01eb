"""Joins what has to do with who callers are, and whom the coordinator calls: part of the composition.

Without identity everybody is the local caller, and the coordinator shows no token to task services. With it, callers
are recognized, services get callback tokens, and the coordinator has a token of its own if it was given a client.
"""

import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from lockstep.coordinator.adapters.addresses import AddressGuard
from lockstep.coordinator.adapters.client_token import ClientToken
from lockstep.coordinator.adapters.identity import ClaimNames, OidcIdentity
from lockstep.coordinator.adapters.oidc import Issuer
from lockstep.coordinator.adapters.sign_in import OidcSignIn
from lockstep.coordinator.adapters.task_services import HttpTaskServices
from lockstep.coordinator.ports import Clock, SignIn, Store
from lockstep.coordinator.services.access import Access
from lockstep.coordinator.services.callback_tokens import CallbackTokens
from lockstep.coordinator.services.recognition import Recognition
from lockstep.coordinator.settings import Settings

_SECRET_BYTES: Final = 48


@dataclass(frozen=True, slots=True)
class Identifying:
    """What came of it.

    Attributes:
        guard: which addresses are called.
        access: who may do what.
        task_services: how task services are spoken to; still to be opened.
        recognition: who finds out who callers are; None where nobody asks.
        sign_in: how people sign in with a browser; None where they cannot.
    """

    guard: AddressGuard
    access: Access
    task_services: HttpTaskServices
    recognition: Recognition | None = None
    sign_in: SignIn | None = None


async def identifying(stack: AsyncExitStack, settings: Settings, store: Store, clock: Clock) -> Identifying:
    """Join the parts as the settings say; what has to be closed is left to the stack."""
    guard = AddressGuard(settings.private_urls_allowed)
    access = Access(open_reads=settings.open_reads, open_reports=settings.open_reports)
    if settings.auth == "none":
        return Identifying(guard, Access(), HttpTaskServices(settings.request_timeout, guard=guard))
    issuer = await stack.enter_async_context(Issuer(settings.oidc_issuer, algorithm=settings.oidc_algorithm))
    names = ClaimNames(
        roles=settings.oidc_roles_claim,
        groups=settings.oidc_groups_claim,
        name=settings.oidc_name_claim,
        service=settings.oidc_service_claim,
        client=settings.oidc_client_claim,
    )
    identity = OidcIdentity(issuer, settings.oidc_audience, names, settings.admin_clients)
    secret = settings.secret or await store.people.secret(secrets.token_urlsafe(_SECRET_BYTES))
    client_id, client_secret = settings.oidc_client_id, settings.oidc_client_secret
    callback_token = CallbackTokens(secret).issue
    if client_id and client_secret:
        token = ClientToken(issuer, client_id, client_secret, settings.oidc_services_audience)
        task_services = HttpTaskServices(settings.request_timeout, token, callback_token, guard)
    else:
        task_services = HttpTaskServices(settings.request_timeout, callback_token=callback_token, guard=guard)
    return Identifying(
        guard,
        access,
        task_services,
        Recognition(store.people, identity, clock, secret),
        OidcSignIn(issuer, identity, client_id, client_secret, secret) if client_id else None,
    )
