# Every target sets up what it needs; a second run is fast and changes nothing.
# Paths are relative: the folder may have blanks and Chinese characters in its name.
.DEFAULT_GOAL := help
.PHONY: help demo test check generate docs up down bench clean

BIN := .venv/bin
READY := .venv/.synced
NODE_READY := docs/asyncapi/node_modules/.installed
ARGS ?=
REGISTER ?=

help: ## 列出目标 list the targets
	@printf '信桥 Xinqiao\n\n'
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
	@printf '\n  make demo REGISTER=path/to/register.csv.gz   用真实名录 with a real register\n'
	@printf '  make test ARGS="tests/unit -k score"         只跑一部分 a part of the tests\n'

$(READY): uv.lock pyproject.toml .ci/bootstrap
	@sh .ci/bootstrap

$(NODE_READY): docs/asyncapi/package.json docs/asyncapi/package-lock.json .ci/bootstrap
	@sh .ci/bootstrap node

demo: $(READY) ## 演示全流程:采集、评分、发布、消费 the whole flow: collect, score, publish, consume
	@$(BIN)/xinqiao demo $(if $(REGISTER),--register "$(REGISTER)") $(ARGS)

test: $(READY) $(if $(ARGS),,$(NODE_READY)) ## 检查和全部测试 checks and all tests (ARGS=… for a part of the tests)
	@$(if $(ARGS),,$(MAKE) --no-print-directory check)
	@sh .ci/bootstrap java
	@$(BIN)/python -m pytest $(ARGS)

check: $(READY) ## 风格、类型、分层 lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/lint-imports

generate: $(READY) ## 重新生成参考页、模式和模板 write reference pages, schemas and templates anew
	@$(BIN)/python -m gateway.reference

docs: $(READY) $(NODE_READY) ## 消息接口网页 the bus as a web page: dist/asyncapi.html
	@node docs/asyncapi/page.mjs docs/asyncapi.yaml dist/asyncapi.html

up: $(READY) ## 启动本地环境 start the local stack (ARGS="--without airflow")
	@$(BIN)/xinqiao up $(ARGS)

down: $(READY) ## 停止本地环境,不留进程 stop the local stack, leave no process
	@$(BIN)/xinqiao down

bench: $(READY) ## 基准测试 benchmarks
	@$(BIN)/python -m tests.benchmarks $(ARGS)

clean: ## 停止本地环境,删除全部生成物 stop the local stack, delete everything generated
	@if [ -x $(BIN)/xinqiao ]; then env -u XINQIAO_HOME $(BIN)/xinqiao down; fi
	@rm -rf .venv .xinqiao dist docs/asyncapi/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
