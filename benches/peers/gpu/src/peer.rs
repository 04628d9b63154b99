//! lampshade's primitives on buffers of a device of their own.

use lampshade::{Context, KeyValue, KeyValueSorter, Reducer, Scanner, Sorter, U32Reduction};

pub struct Peer {
    context: Context,
}

/// One primitive with its data on the device.
pub struct Bound<'p> {
    context: &'p Context,
    output: wgpu::Buffer,
    submit: Box<dyn FnMut() + 'p>,
}

impl Peer {
    /// Opens the adapter of that name with the features and limits lampshade's own context asks for.
    pub fn open(name: &str) -> Result<Peer, String> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: wgpu::Backends::PRIMARY,
            flags: wgpu::InstanceFlags::empty(),
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
        let adapter = adapters.into_iter().find(|adapter| adapter.get_info().name == name);
        let adapter = adapter.ok_or("lampshade's wgpu does not see the adapter")?;
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            required_features: adapter.features() & wgpu::Features::SUBGROUP,
            required_limits: adapter.limits(),
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        }))
        .map_err(|error| error.to_string())?;
        Ok(Peer { context: Context { adapter_info: adapter.get_info(), device, queue } })
    }

    fn buffer(&self, bytes: u64) -> wgpu::Buffer {
        self.context.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: bytes,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }

    fn upload<T: bytemuck::Pod>(&self, data: &[T]) -> wgpu::Buffer {
        let buffer = self.buffer(size_of_val(data) as u64);
        self.context.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(data));
        buffer
    }

    pub fn sort_pairs(&self, items: &[KeyValue]) -> Bound<'_> {
        let (input, output, n) = (self.upload(items), self.buffer(size_of_val(items) as u64), items.len() as u32);
        let mut sorter = KeyValueSorter::from_context(&self.context);
        let to = output.clone();
        self.bind(output, move || sorter.sort_gpu_to_gpu(&input, &to, n).expect("lampshade sorts pairs"))
    }

    pub fn sort_keys(&self, keys: &[u32]) -> Bound<'_> {
        let (input, output, n) = (self.upload(keys), self.buffer(size_of_val(keys) as u64), keys.len() as u32);
        let mut sorter = Sorter::from_context(&self.context);
        let to = output.clone();
        self.bind(output, move || sorter.sort_gpu_to_gpu(&input, &to, n).expect("lampshade sorts keys"))
    }

    pub fn scan(&self, data: &[u32]) -> Bound<'_> {
        let (input, output, n) = (self.upload(data), self.buffer(size_of_val(data) as u64), data.len() as u32);
        let mut scanner = Scanner::from_context(&self.context);
        let to = output.clone();
        self.bind(output, move || scanner.scan_exclusive_gpu_to_gpu(&input, &to, n).expect("lampshade scans"))
    }

    pub fn reduce(&self, data: &[u32], operation: U32Reduction) -> Bound<'_> {
        let (input, output, n) = (self.upload(data), self.buffer(4), data.len() as u32);
        let mut reducer = Reducer::from_context(&self.context);
        let to = output.clone();
        self.bind(output, move || reducer.reduce_gpu_to_gpu(&input, &to, n, operation).expect("lampshade reduces"))
    }

    fn bind<'p>(&'p self, output: wgpu::Buffer, submit: impl FnMut() + 'p) -> Bound<'p> {
        Bound { context: &self.context, output, submit: Box::new(submit) }
    }
}

impl Bound<'_> {
    /// Submits and waits.
    pub fn run(&mut self) {
        (self.submit)();
        self.context.device.poll(wgpu::PollType::wait_indefinitely()).expect("the device is alive");
    }

    /// The output, brought back.
    pub fn read<T: bytemuck::Pod>(&self) -> Vec<T> {
        let device = &self.context.device;
        let back = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: self.output.size(),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(&self.output, 0, &back, 0, Some(self.output.size()));
        self.context.queue.submit([encoder.finish()]);
        back.map_async(wgpu::MapMode::Read, .., |result| result.expect("the output can be mapped"));
        device.poll(wgpu::PollType::wait_indefinitely()).expect("the device is alive");
        bytemuck::pod_collect_to_vec(&back.slice(..).get_mapped_range().expect("the output is mapped"))
    }
}
