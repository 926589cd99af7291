"""What stands around every handler: who calls, how many streams, errors as statuses, and the end. Rule: one table.

The daemon ends endless streams by cancelling their tasks; here that becomes a status, as every end does.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import grpc

from afmd.errors import AfmdError, Draining, LimitReached, Stalled
from afmd.rpc.access import Access, Role
from afmd.rpc.refusals import Context, defect, reason_of, refuse

Behaviour = Callable[[Any, Context], Any]
Faults = Callable[[str, Exception], None]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a method demands; ``endless`` streams are ended at the stop, ``transfers`` must keep moving."""

    role: Role
    endless: bool = False
    transfer: bool = False


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "/afmd.v1.ScanService/ListScans": Rule(Role.VIEWER),
        "/afmd.v1.ScanService/GetScan": Rule(Role.VIEWER),
        "/afmd.v1.ScanService/ReadArray": Rule(Role.VIEWER, transfer=True),
        "/afmd.v1.ScanService/RenderImage": Rule(Role.VIEWER, transfer=True),
        "/afmd.v1.EventService/Watch": Rule(Role.VIEWER, endless=True),
        "/afmd.v1.DaemonService/GetStatus": Rule(Role.VIEWER),
        "/grpc.health.v1.Health/Check": Rule(Role.ANYONE),
        "/grpc.health.v1.Health/List": Rule(Role.ANYONE),
        "/grpc.health.v1.Health/Watch": Rule(Role.ANYONE, endless=True),
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Rule(Role.VIEWER),
    }
)
UNLISTED = Rule(Role.OPERATOR)


@dataclass(slots=True)
class Streams:
    """The streams that are open, and the word that they must end."""

    limit: int
    stall_s: float
    open: int = 0
    ending: bool = False
    endless: set[asyncio.Task[Any]] = field(default_factory=set)

    def end(self) -> None:
        """Have every endless stream end with a status, and let no new call in."""
        self.ending = True
        for task in self.endless:
            task.cancel()


class Guard(grpc.aio.ServerInterceptor):
    """Wraps every handler of the server."""

    def __init__(self, access: Access, streams: Streams, *, on_fault: Faults) -> None:
        self._access = access
        self._streams = streams
        self._on_fault = on_fault

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return the method's handler with everything around it."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None  # gRPC itself answers UNIMPLEMENTED
        guarded = _Guarded(str(handler_call_details.method), self._access, self._streams, self._on_fault)
        return guarded.wrap(handler)


@dataclass(frozen=True, slots=True)
class _Guarded:
    """One method's handler and what stands around it."""

    method: str
    access: Access
    streams: Streams
    on_fault: Faults

    def wrap(self, handler: Any) -> Handler:
        """Return a handler of the same kind."""
        kind = f"{_arity(handler.request_streaming)}_{_arity(handler.response_streaming)}"
        behaviour = getattr(handler, kind)
        wrapped = self._stream(behaviour) if handler.response_streaming else self._unary(behaviour)
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        made: Handler = make(
            wrapped,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        return made

    def _unary(self, behaviour: Behaviour) -> Behaviour:
        async def answer(request: Any, context: Context) -> Any:
            try:
                self._admit(context)
                return await behaviour(request, context)
            except Exception as e:
                await self._refuse(context, e, request)

        return answer

    def _stream(self, behaviour: Behaviour) -> Behaviour:
        async def answer(request: Any, context: Context) -> None:
            try:
                self._admit(context)
                with self._place():
                    await self._pass_on(behaviour(request, context), context)
            except asyncio.CancelledError:
                if not self.streams.ending or context.done():
                    raise
                await refuse(context, _going_down())
            except grpc.aio.InternalError:
                # the client went away while a message was on its way: an end like that of a cancelled call
                raise asyncio.CancelledError from None
            except Exception as e:
                await self._refuse(context, e, request)

        return answer

    def _admit(self, context: Context) -> None:
        if self.streams.ending:
            raise _going_down()
        self.access.admit(context.invocation_metadata() or (), role=self._rule.role)

    @property
    def _rule(self) -> Rule:
        return RULES.get(self.method, UNLISTED)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Take one of the places for streams. Raises ``LimitReached``."""
        streams, task = self.streams, asyncio.current_task()
        if streams.open >= streams.limit:
            raise LimitReached(
                "stream", why=f"all {streams.limit} that may be open are open",
                mend="Try again later, or raise server.max_streams",
            )  # fmt: skip
        streams.open += 1
        if task is not None and self._rule.endless:
            streams.endless.add(task)
        try:
            yield
        finally:
            streams.open -= 1
            streams.endless.discard(task)

    async def _pass_on(self, made: AsyncGenerator[Any, None] | Awaitable[None], context: Context) -> None:
        """Send what the handler makes, at the client's pace."""
        if isinstance(made, Awaitable):
            await made
            return
        stall_s = self.streams.stall_s if self._rule.transfer else None
        async with aclosing(made) as messages:
            async for message in messages:
                await _written(context, message, stall_s=stall_s)

    async def _refuse(self, context: Context, error: Exception, request: Any) -> None:
        if isinstance(error, grpc.aio.AbortError):
            raise error
        if context.done():
            return
        if isinstance(error, AfmdError) and reason_of(error) != "INTERNAL":
            await refuse(context, error, request=request)
        told, incident = defect()
        self.on_fault(f"{self.method} incident {incident}", error)
        await refuse(context, told)


async def _written(context: Context, message: Any, *, stall_s: float | None) -> None:
    """Send one message. Raises ``Stalled`` where the client does not take it in time."""
    try:
        async with asyncio.timeout(stall_s):
            await context.write(message)
    except TimeoutError as e:
        raise Stalled(
            "stream", why=f"the client took nothing for {stall_s:g} s", mend="Read on at once, or ask again later"
        ) from e


def _going_down() -> Draining:
    return Draining("daemon", why="it is going down", mend="Try again in a moment, from the last revision known")


def _arity(streaming: bool) -> str:
    return "stream" if streaming else "unary"
