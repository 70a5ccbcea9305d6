"""The one table from what the broker does to what we do next (architecture §5.5)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType

from pika import exceptions
from pika.adapters.utils.connection_workflow import AMQPConnectorException

from exchange_formats.errors import ConfigurationError, FatalError, TransientError, XinqiaoError

_RETRY = timedelta(seconds=30)
_APPLY = "生成并应用拓扑 apply the topology: xinqiao bus apply"
_LOGIN = "检查连接的用户、口令与权限 check the connection's login, password and permissions"

#: AMQP reply code → error class and what a person can do.
_BY_CODE: Mapping[int, tuple[type[XinqiaoError], str]] = MappingProxyType(
    {
        311: (FatalError, "消息过大 the message is too large for the broker"),
        320: (TransientError, "代理正在关闭 the broker is shutting down"),
        402: (ConfigurationError, _APPLY),
        403: (FatalError, _LOGIN),
        404: (ConfigurationError, _APPLY),
        405: (TransientError, "队列被占用 the queue is in use exclusively"),
        406: (FatalError, "代理拒绝了消息或参数 the broker refused the message or an argument"),
        506: (TransientError, "代理资源不足 the broker is out of resources"),
        530: (FatalError, "虚拟主机不存在或无权访问 no such virtual host, or no access to it"),
        541: (TransientError, "代理内部错误 internal error of the broker"),
    }
)


def classify(error: Exception, endpoint: str) -> XinqiaoError:
    """The typed error of what pika raised; ``endpoint`` names the broker and user, never the password."""
    if isinstance(error, XinqiaoError):
        return error
    if isinstance(error, exceptions.ConnectionClosed | exceptions.ChannelClosed):
        return _classify_code(error.reply_code, error.reply_text, endpoint)
    if isinstance(error, _PROBABLE) and (found := _CODE.search(str(error))):
        return _classify_code(int(found[1]), found[2], endpoint)
    if isinstance(error, exceptions.AuthenticationError):
        return FatalError(f"{endpoint}: 登录被拒绝 the broker refused the login", hint=_LOGIN)
    if isinstance(error, exceptions.ConnectionBlockedTimeout):
        what = "代理告警(内存或磁盘), 不接收消息 the broker has an alarm (memory or disk) and takes no messages"
        return TransientError(f"{endpoint}: {what}", retry_after=timedelta(minutes=5))
    if isinstance(error, exceptions.AMQPHeartbeatTimeout):
        return TransientError(f"{endpoint}: 代理无响应 the broker stopped answering", retry_after=_RETRY)
    if isinstance(error, exceptions.NackError):
        what = "至少一个队列已满, 消息被拒绝 at least one queue is full: the broker did not take the message"
        return TransientError(
            f"{endpoint}: {what}", retry_after=timedelta(minutes=5), hint="查看 see: xinqiao bus status"
        )
    if isinstance(error, exceptions.UnroutableError):
        return ConfigurationError(f"{endpoint}: 没有队列接收 no queue takes the message", hint=_APPLY)
    if isinstance(error, exceptions.ConsumerCancelled):
        return TransientError(f"{endpoint}: 代理取消了订阅 the broker cancelled the consumer", retry_after=_RETRY)
    if isinstance(error, _LOST):
        return TransientError(
            f"{endpoint}: 连不上或连接中断 unreachable or connection lost: {_name(error)}", retry_after=_RETRY
        )
    return FatalError(f"{endpoint}: {_name(error)}")


#: Closed during the handshake: a refusal if the broker gave a code, else just lost.
_PROBABLE = (exceptions.ProbableAuthenticationError, exceptions.ProbableAccessDeniedError)
_CODE = re.compile(r"\((\d{3})\) ['\"]?(.*?)['\"]?$")
_LOST = (exceptions.AMQPConnectionError, exceptions.ChannelWrongStateError, AMQPConnectorException, OSError)


@contextmanager
def typed_errors(endpoint: str) -> Iterator[None]:
    """Turn what pika raises inside the block into typed errors; a handler's own OSError stays what it is."""
    try:
        yield
    except (exceptions.AMQPError, exceptions.ChannelError, AMQPConnectorException) as error:
        raise classify(error, endpoint) from error


def _classify_code(code: int, text: str, endpoint: str) -> XinqiaoError:
    kind, hint = _BY_CODE.get(code, (FatalError, ""))
    # The same code as a forged user_id, yet only a consumer that was slow.
    if code == 406 and "timed out" in text:
        kind, hint = TransientError, "确认超时, 消息将重新投递 acknowledged too late, the message is delivered again"
    return kind(f"{endpoint}: {code} {text}", hint=hint)


def _name(error: Exception) -> str:
    """The innermost words: pika wraps socket errors several times over."""
    inner: object = error
    while isinstance(inner, BaseException):
        several = getattr(inner, "exceptions", None)
        below = several[-1] if several else getattr(inner, "exception", None) or (inner.args[0] if inner.args else None)
        if not isinstance(below, BaseException):
            break
        inner = below
    return f"{type(inner).__name__} {inner}".strip()[:200]
