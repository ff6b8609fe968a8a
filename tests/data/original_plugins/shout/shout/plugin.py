from interfaces import IObserver, IPlugin


class Shouter(IObserver):
    def __init__(self, observable):
        self.observable = observable

    def prefix(self):
        return "!shout"

    async def notify(self, msg, to, attachments):
        await self.observable.notify("one moment", to, [])
        await self.observable.notify(msg.upper(), to, attachments)


class Plugin(IPlugin):
    def __init__(self, observable, data_path="/data"):
        self.observable = observable

    def start(self):
        self.observable.subscribe(Shouter(self.observable))

    async def stop(self):
        pass
